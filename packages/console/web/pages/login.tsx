import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { CopyButton } from '../parts/controls.tsx';
import { Notice } from '../parts/notice.tsx';
import { base } from '../state/base.ts';
import { messageOf } from '../state/request.ts';
import { isAnonymous, login, session, signingIn } from '../state/session.ts';
import { t } from '../texts.ts';

export function LoginPage(): JSX.Element {
  const [token, setToken] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  useEffect(() => {
    document.title = `${t.login.title} · ${t.common.product}`;
  }, []);
  const namespace = session.value?.istioNamespace ?? 'istio-system';
  const command = `kubectl -n ${namespace} create token console`;
  const submit = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      await login(token.trim());
    } catch (error) {
      setProblem(messageOf(error));
      setBusy(false);
    }
  };
  return (
    <main class="login" id="content">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <img src={`${base}icon.svg`} alt="" width="44" height="44" />
        <h1>{t.login.title}</h1>
        <p class="soft">{t.login.lead}</p>
        {problem !== undefined && (
          <Notice level="error" title={t.login.failed}>
            {problem}
          </Notice>
        )}
        <div class="field">
          <label for="token">{t.login.token}</label>
          <textarea
            id="token"
            class="input mono"
            rows={4}
            value={token}
            required
            autocomplete="off"
            spellcheck={false}
            aria-describedby="token-hint"
            onInput={(event) => setToken(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && !event.shiftKey) {
                event.preventDefault();
                event.currentTarget.form?.requestSubmit();
              }
            }}
          />
          <small id="token-hint" class="faint">
            {t.login.tokenHint}
          </small>
        </div>
        <button type="submit" class="button primary" disabled={busy || token.trim() === ''}>
          {t.login.submit}
        </button>
        {isAnonymous() && (
          <button
            type="button"
            class="button"
            onClick={() => {
              signingIn.value = false;
            }}
          >
            {t.common.cancel}
          </button>
        )}
        <details>
          <summary>{t.login.how}</summary>
          <p class="soft">{t.login.howText}</p>
          <div class="row">
            <code class="resource grow wrap">{command}</code>
            <CopyButton text={command} />
          </div>
        </details>
        <p class="faint small">
          {session.value?.cluster} · {t.common.version(session.value?.version ?? '')}
        </p>
      </form>
    </main>
  );
}
