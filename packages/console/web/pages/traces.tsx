import type { JSX } from 'preact';
import { Page } from '../parts/page.tsx';
import { t } from '../texts.ts';
import { TraceSearch } from '../traces/search.tsx';

export function TracesPage(): JSX.Element {
  return (
    <Page title={t.traces.title} lead={t.traces.lead}>
      <TraceSearch />
    </Page>
  );
}
