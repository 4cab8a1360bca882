import assert from 'node:assert/strict';
import { it } from 'node:test';
import { nextTime, parseSchedule } from './cron-schedule.ts';

const next = (schedule: string, after: string, zone?: string) =>
  nextTime(parseSchedule(schedule), new Date(after), zone)?.toISOString();

it('finds the next time', () => {
  assert.equal(next('*/15 * * * *', '2026-03-01T10:07:30Z'), '2026-03-01T10:15:00.000Z');
  assert.equal(next('0 9 * * mon-fri', '2026-03-06T09:00:00Z'), '2026-03-09T09:00:00.000Z');
  assert.equal(next('@daily', '2026-12-31T12:00:00Z'), '2027-01-01T00:00:00.000Z');
  assert.equal(next('30 4 29 feb *', '2026-01-01T00:00:00Z'), '2028-02-29T04:30:00.000Z');
});

it('takes either day when both are given', () => {
  assert.equal(next('0 0 13 * 5', '2026-03-09T00:00:00Z'), '2026-03-13T00:00:00.000Z');
  assert.equal(next('0 0 14 * 5', '2026-03-09T00:00:00Z'), '2026-03-13T00:00:00.000Z');
});

it('counts in the time zone', () => {
  assert.equal(next('0 9 * * *', '2026-07-01T00:00:00Z', 'Europe/Berlin'), '2026-07-01T07:00:00.000Z');
});

it('names the field that is wrong', () => {
  assert.throws(() => parseSchedule('61 * * * *'), /"61" is not between 0 and 59/);
  assert.throws(() => parseSchedule('* * *'), /expected 5 fields/);
  assert.throws(() => parseSchedule('*/0 * * * *'), /step/);
});

it('gives up on a day that does not exist', () => {
  assert.equal(next('0 0 31 2 *', '2026-01-01T00:00:00Z'), undefined);
});
