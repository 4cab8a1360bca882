import type { JSX } from 'preact';
import type { Health, HealthState, Traffic } from '../../src/api.ts';
import { bytesPerSecond, milliseconds, percent, rate } from '../state/format.ts';
import { t } from '../texts.ts';
import { Icon, type IconName } from './icons.tsx';

const icons: Readonly<Record<HealthState, IconName>> = {
  healthy: 'check',
  degraded: 'warning',
  failing: 'error',
  idle: 'minus',
  unknown: 'unknown',
};

/** Order for sorting: the worst first. */
export const healthOrder: Readonly<Record<HealthState, number>> = {
  failing: 0,
  degraded: 1,
  unknown: 2,
  idle: 3,
  healthy: 4,
};

/** A health state with its word; the reasons are its tooltip. Never by colour alone. */
export function HealthMark({ health, bare }: { readonly health: Health; readonly bare?: boolean }): JSX.Element {
  const word = t.common.states[health.state];
  return (
    <span class={`health ${health.state}`} title={[word, ...health.reasons].join('\n')}>
      <Icon name={icons[health.state]} size={13} {...(bare ? { label: word } : {})} />
      {!bare && <span>{word}</span>}
    </span>
  );
}

export function Reasons({ health }: { readonly health: Health }): JSX.Element | null {
  if (health.reasons.length === 0) return null;
  return (
    <ul class={`reasons ${health.state}`}>
      {health.reasons.map((reason) => (
        <li key={reason}>{reason}</li>
      ))}
    </ul>
  );
}

export const errorClass = (share: number): string => (share >= 0.1 ? 'bad' : share >= 0.001 ? 'warn' : '');

/** The four numbers of traffic in a line. */
export function TrafficLine({ traffic }: { readonly traffic: Traffic }): JSX.Element {
  const tcp = traffic.tcpSentBytesPerSecond + traffic.tcpReceivedBytesPerSecond;
  return (
    <dl class="figures">
      <div>
        <dt>{t.common.requests}</dt>
        <dd>
          {rate(traffic.requestsPerSecond)} <small>{t.common.perSecond}</small>
        </dd>
      </div>
      <div>
        <dt>{t.common.errors}</dt>
        <dd class={errorClass(traffic.errorRate)}>{percent(traffic.errorRate)}</dd>
      </div>
      <div>
        <dt>{t.common.latency}</dt>
        <dd>{traffic.p95 === undefined ? '–' : milliseconds(traffic.p95)}</dd>
      </div>
      {tcp > 0 && (
        <div>
          <dt>TCP</dt>
          <dd>{bytesPerSecond(tcp)}</dd>
        </div>
      )}
    </dl>
  );
}
