import { expect, test } from 'vitest';
import { MIGRATIONS } from '../migrations/index.js';
import { splitStatements } from './split-statements.js';

test('splits a script at the ends of its statements alone', () => {
  const trigger = `create trigger t after insert on a when new.x = ';' begin
    update a set x = case when 1 then 2 else 3 end; delete from b; -- end;
  end`;
  const statements = ["insert into a values ('a;''b', \"c;d\")", '/* x;y */ select 1', trigger, 'select "end"'];
  expect(splitStatements(`${statements.join(';\n')};\n -- the end;\n ; `)).toEqual(statements);
});

test('keeps every statement of the migrations', () => {
  for (const script of MIGRATIONS) {
    const statements = splitStatements(script);
    expect(statements.join(';\n').replace(/\s/g, '')).toBe(script.replace(/\s/g, '').replace(/;$/, ''));
    for (const statement of statements) expect(statement).toMatch(/^(create|insert|alter|drop) /);
  }
});
