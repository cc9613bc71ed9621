import { h, setText, svg } from './dom.ts';

const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];

const KEY = 'floorwatch-theme';
const LABELS: Readonly<Record<Theme, string>> = { auto: 'Auto', light: 'Light', dark: 'Dark' };

/** The switch between the system's colours, light and dark. The choice is kept in this browser. */
export function themeSwitch(onChange: () => void): HTMLElement {
  let theme = readTheme();
  const text = h('span');
  const button = h(
    'button',
    { class: 'quiet', type: 'button' },
    halfDisc(),
    h('span', { class: 'sr' }, 'Colours: '),
    text,
  );
  const apply = (): void => {
    document.documentElement.dataset['theme'] = theme;
    setText(text, LABELS[theme]);
    button.title = 'Colours: as the system says, light, or dark';
    onChange();
  };
  button.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto';
    localStorage.setItem(KEY, theme);
    apply();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => onChange());
  apply();
  return button;
}

const halfDisc = (): SVGSVGElement =>
  svg(
    'svg',
    { class: 'icon', viewBox: '0 0 20 20', 'aria-hidden': 'true' },
    svg('circle', { cx: 10, cy: 10, r: 7, fill: 'none', stroke: 'currentColor', 'stroke-width': 1.6 }),
    svg('path', { d: 'M10 3a7 7 0 0 1 0 14z', fill: 'currentColor' }),
  );

function readTheme(): Theme {
  const stored = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === stored) ?? 'auto';
}
