import { documentationUrl } from '@istio-ts/analysis/message-types';
import type { Message } from '@istio-ts/analysis/message';
import type { KubeObject } from '@istio-ts/kube';
import { type Condition, conditionOf, maxConditionMessage, withCondition } from '../controllers/condition.ts';

const conditionType = 'PassedAnalysis';
/** Messages that an object's status takes; more of them help nobody. */
const maxMessages = 50;

/** A finding as a status has it (istio.analysis.v1alpha1, AnalysisMessageBase). */
interface ValidationMessage {
  readonly type: { readonly name: string; readonly code: string };
  readonly level: string;
  readonly documentationUrl: string;
}

const validationMessage = ({ code, name, level }: Message): ValidationMessage => ({
  type: { name, code },
  level: level.toUpperCase(),
  documentationUrl: documentationUrl(code),
});

function wantedCondition(messages: readonly Message[]): Condition {
  const serious = messages.filter(({ level }) => level !== 'Info');
  if (serious.length === 0)
    return { type: conditionType, status: 'True', reason: 'NoProblems', message: 'the analysis found no problems' };
  return {
    type: conditionType,
    status: 'False',
    reason: 'ProblemsFound',
    message: serious
      .map(({ code, path, text }) => `${code}${path === '' ? '' : ` ${path}`}: ${text}`)
      .join('; ')
      .slice(0, maxConditionMessage),
  };
}

interface AnalysedStatus {
  readonly validationMessages?: readonly Partial<ValidationMessage>[];
}

const messagesIn = (object: KubeObject): readonly Partial<ValidationMessage>[] => {
  const { validationMessages } = (object.status ?? {}) as AnalysedStatus;
  return Array.isArray(validationMessages) ? validationMessages : [];
};

const digest = (messages: readonly Partial<ValidationMessage>[], condition: Condition | undefined): string =>
  JSON.stringify([
    messages.map(({ type, level }) => [type?.code, level]),
    condition?.status === 'False' ? condition.message : '',
  ]);

const nothing = digest([], undefined);

/** What an object's status says of analyses, for comparison; undefined where it tells of no problem. */
export function toldProblems(object: KubeObject): string | undefined {
  const told = digest(messagesIn(object), conditionOf(object, conditionType));
  return told === nothing ? undefined : told;
}

/** What the status of an object with these findings says, as `toldProblems` has it. */
export function wantedProblems(messages: readonly Message[]): string | undefined {
  const wanted = digest(messages.slice(0, maxMessages).map(validationMessage), wantedCondition(messages));
  return wanted === nothing ? undefined : wanted;
}

/** What has to be merged into an object's status so that it tells of these findings and no others; undefined where it does. */
export function analysisStatus(
  object: KubeObject,
  messages: readonly Message[],
  now: Date,
): Readonly<Record<string, unknown>> | undefined {
  if (toldProblems(object) === wantedProblems(messages)) return undefined;
  const condition = wantedCondition(messages);
  // An object without problems that never had any gets no condition.
  const conditions =
    condition.status === 'False' || conditionOf(object, conditionType)
      ? withCondition(object, condition, now)
      : undefined;
  return {
    validationMessages: messages.length === 0 ? null : messages.slice(0, maxMessages).map(validationMessage),
    ...(conditions && { conditions }),
  };
}
