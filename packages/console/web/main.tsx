import 'uplot/dist/uPlot.min.css';
import './styles/tokens.css';
import './styles/base.css';
import './styles/parts.css';
import './styles/graph.css';
import './styles/pages.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { followLinks } from './state/router.ts';
import { readSession, watchSession } from './state/session.ts';
import { applyTheme } from './state/settings.ts';

applyTheme();
followLinks();
watchSession();
void readSession();
const root = document.getElementById('app');
if (root) render(<App />, root);
