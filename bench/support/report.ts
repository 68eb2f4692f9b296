/** What a comparison found: series of repeated values, printed as a table and written as JSON. */
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { REPOSITORY } from '../../test/support/repository.js';

export interface Series {
  /** Who was measured, such as `oriel`. */
  readonly subject: string;
  readonly values: readonly number[];
}

interface Row {
  readonly measure: string;
  readonly unit: string;
  readonly series: readonly Series[];
  /** Median of the first series over the median of the second; above 1 the first has more. */
  readonly ratio?: number;
  /** The figure to reach, in words. */
  readonly target?: string;
}

export class Report {
  readonly #name: string;
  readonly #rows: Row[] = [];

  constructor(name: string) {
    this.#name = name;
    console.log(machine());
  }

  /** Adds and prints a row. With two series the ratio of the first to the second is part of it. */
  add(measure: string, unit: string, series: readonly Series[], target?: string): void {
    const [first, second] = series;
    const ratio =
      first !== undefined && second !== undefined ? median(first.values) / median(second.values) : undefined;
    const row = {
      measure,
      unit,
      series,
      ...(ratio === undefined ? {} : { ratio }),
      ...(target === undefined ? {} : { target }),
    };
    this.#rows.push(row);
    const cells = series.map(
      ({ subject, values }) =>
        `${subject} ${number(median(values))} (${number(Math.min(...values))}–${number(Math.max(...values))})`,
    );
    const parts = [measure.padEnd(44), unit.padEnd(6), ...cells.map((cell) => cell.padEnd(34))];
    if (ratio !== undefined) parts.push(`ratio ${number(ratio)}`);
    if (target !== undefined) parts.push(`[${target}]`);
    console.log(parts.join(' '));
  }

  /** Writes everything to bench/results/NAME.json. */
  save(): void {
    const folder = path.join(REPOSITORY, 'bench', 'results');
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, `${this.#name}.json`);
    const rows = this.#rows.map((row) => ({
      ...row,
      series: row.series.map((series) => ({ ...series, median: median(series.values) })),
    }));
    writeFileSync(
      file,
      `${JSON.stringify({ name: this.#name, date: new Date().toISOString(), machine: machine(), rows }, null, 1)}\n`,
    );
    console.log(`json: ${path.relative(REPOSITORY, file)}`);
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  const lower = sorted[sorted.length % 2 === 0 ? middle - 1 : middle];
  if (upper === undefined || lower === undefined) throw new Error('no values to take a median of');
  return (upper + lower) / 2;
}

function machine(): string {
  const [cpu] = os.cpus();
  return `${os.cpus().length} × ${cpu?.model ?? 'unknown'}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${os.type()} ${os.release()}, node ${process.version}`;
}

function number(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** The value of `--name VALUE` among the arguments or of ORIEL_BENCH_NAME, a positive number, else the default. */
export function benchOption(name: string, otherwise: number): number {
  const given = benchText(name, String(otherwise));
  const value = Number(given);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`--${name}: expected a positive number, got ${given}`);
  return value;
}

/** The value of `--name VALUE` among the arguments or of ORIEL_BENCH_NAME, else the default. */
export function benchText(name: string, otherwise: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return (at >= 0 ? process.argv[at + 1] : process.env[`ORIEL_BENCH_${name.toUpperCase()}`]) ?? otherwise;
}
