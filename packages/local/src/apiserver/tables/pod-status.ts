import { asNumber, asObject, asObjects, asString, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { age } from './columns.ts';

const spec = (pod: ApiObject): JsonObject => asObject(pod.spec);
const status = (pod: ApiObject): JsonObject => asObject(pod.status);

function statusOf(statuses: readonly JsonObject[], name: unknown): JsonObject | undefined {
  return statuses.find((item) => item.name === name);
}

/** Init containers with restartPolicy Always (native sidecars) run beside the containers. */
function sidecars(pod: ApiObject): JsonObject[] {
  return asObjects(spec(pod).initContainers).filter((container) => container.restartPolicy === 'Always');
}

export function podReady(pod: ApiObject): string {
  const containers = asObjects(spec(pod).containers);
  const running = asObjects(status(pod).containerStatuses);
  const init = asObjects(status(pod).initContainerStatuses);
  const isReady = (item: JsonObject | undefined) => item?.ready === true && asObject(item.state).running !== undefined;
  const ready = containers.filter((container) => isReady(statusOf(running, container.name))).length;
  const readySidecars = sidecars(pod).filter((container) => isReady(statusOf(init, container.name))).length;
  return `${ready + readySidecars}/${containers.length + sidecars(pod).length}`;
}

export function podRestarts(pod: ApiObject, now: number): string {
  const sidecarNames = new Set(sidecars(pod).map((container) => container.name));
  const init = asObjects(status(pod).initContainerStatuses);
  const initialising = initialisation(pod) !== undefined;
  const counted = initialising
    ? init
    : [...init.filter((item) => sidecarNames.has(item.name)), ...asObjects(status(pod).containerStatuses)];
  let total = 0;
  let last = '';
  for (const item of counted) {
    total += asNumber(item.restartCount);
    const finished = asString(asObject(asObject(item.lastState).terminated).finishedAt);
    if (finished > last) last = finished;
  }
  return total > 0 && last !== '' ? `${total} (${age(last, now)} ago)` : String(total);
}

function terminatedText(state: JsonObject): string {
  const reason = asString(state.reason);
  if (reason !== '') return reason;
  return asNumber(state.signal) !== 0 ? `Signal:${String(state.signal)}` : `ExitCode:${String(state.exitCode)}`;
}

/** `Init:...` while an init container has not done its part, else undefined. */
function initialisation(pod: ApiObject): string | undefined {
  const containers = asObjects(spec(pod).initContainers);
  const statuses = asObjects(status(pod).initContainerStatuses);
  for (const [index, container] of containers.entries()) {
    const item = statusOf(statuses, container.name);
    if (item === undefined) {
      if (statuses.length === 0 && asString(status(pod).phase) !== 'Pending') return undefined;
      if (statuses.length === 0) return undefined;
      return `Init:${index}/${containers.length}`;
    }
    const state = asObject(item.state);
    const terminated = state.terminated;
    if (terminated !== undefined && asObject(terminated).exitCode === 0) continue;
    if (container.restartPolicy === 'Always' && item.started === true) continue;
    if (terminated !== undefined) return `Init:${terminatedText(asObject(terminated))}`;
    const waiting = asString(asObject(state.waiting).reason);
    if (waiting !== '' && waiting !== 'PodInitializing') return `Init:${waiting}`;
    return `Init:${index}/${containers.length}`;
  }
  return undefined;
}

/** The STATUS column of `kubectl get pods`. */
export function podStatus(pod: ApiObject): string {
  const { phase, reason } = status(pod);
  let text = asString(reason) || asString(phase);
  const gated = asObjects(status(pod).conditions).some(
    (condition) => condition.type === 'PodScheduled' && condition.reason === 'SchedulingGated',
  );
  if (gated) text = 'SchedulingGated';
  const initialising = initialisation(pod);
  const running = asObjects(status(pod).containerStatuses);
  if (initialising !== undefined) text = initialising;
  else {
    let anyRunning = false;
    for (const item of [...running].reverse()) {
      const state = asObject(item.state);
      const waiting = asString(asObject(state.waiting).reason);
      if (waiting !== '') text = waiting;
      else if (state.terminated !== undefined) text = terminatedText(asObject(state.terminated));
      else if (item.ready === true && state.running !== undefined) anyRunning = true;
    }
    if (text === 'Completed' && anyRunning) {
      const ready = asObjects(status(pod).conditions).some(
        (condition) => condition.type === 'Ready' && condition.status === 'True',
      );
      text = ready ? 'Running' : 'NotReady';
    }
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    const finished = phase === 'Succeeded' || phase === 'Failed';
    if (reason === 'NodeLost') text = 'Unknown';
    else if (!finished) text = 'Terminating';
  }
  return text;
}
