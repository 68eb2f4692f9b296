/**
 * The REST suite: what reference §2 and §6 demand, through HTTP alone, so that every way of running the gateway passes the
 * same tests. The server runs with auth mode none.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe } from 'vitest';
import { eventCases } from './event-cases.js';
import { dataCases } from './data-cases.js';
import { imageCases } from './image-cases.js';
import { listCases } from './list-cases.js';
import { patchCases } from './patch-cases.js';
import { locationCases } from './location-cases.js';
import type { Rest } from './rest.js';
import { RestCaller } from './rest-caller.js';
import { sharingCases } from './sharing-cases.js';
import { wireCases } from './wire-cases.js';

export interface StartedServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Runs every case against one server. */
export function restSuite(name: string, startServer: () => Promise<StartedServer>): void {
  describe(name, () => {
    let server: StartedServer | undefined;
    beforeAll(async () => {
      server = await startServer();
    });
    afterAll(async () => {
      await server?.stop();
    });
    const rest: Rest = {
      get url() {
        if (server === undefined) throw new Error('the server has not started');
        return server.url;
      },
      as(project = `project-${randomUUID()}`, roles = 'member') {
        return new RestCaller(this.url, project, roles);
      },
      get admin() {
        return this.as('admin-project', 'admin');
      },
    };
    describe('wire', () => wireCases(rest));
    describe('images', () => imageCases(rest));
    describe('patch', () => patchCases(rest));
    describe('list', () => listCases(rest));
    describe('sharing and tags', () => sharingCases(rest));
    describe('locations', () => locationCases(rest));
    describe('data', () => dataCases(rest));
    describe('events', () => eventCases(rest));
  });
}
