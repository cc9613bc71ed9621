import type { SensorState } from '@floorwatch/contracts';

import { svg } from '../dom.ts';

export const STATE_LABELS: Readonly<Record<SensorState, string>> = {
  critical: 'Critical',
  warning: 'Warning',
  unknown: 'Unknown',
  normal: 'Normal',
};

/** The sign of a state. Each has a shape of its own, so that it can be told without colour. */
export function stateIcon(state: SensorState): SVGSVGElement {
  const icon = svg('svg', { class: `icon state-${state}`, viewBox: '0 0 20 20', 'aria-hidden': 'true' });
  icon.append(...SHAPES[state]());
  return icon;
}

const SHAPES: Readonly<Record<SensorState, () => SVGElement[]>> = {
  critical: () => [
    svg('path', { class: 'fill', d: 'M6.3 1.5h7.4l4.8 4.8v7.4l-4.8 4.8H6.3l-4.8-4.8V6.3z' }),
    svg('path', { class: 'mark', d: 'M10 5.4v5.6M10 14.3v.1' }),
  ],
  warning: () => [
    svg('path', { class: 'fill', d: 'M10 1.8 19 17.6a.6.6 0 0 1-.5.9h-17a.6.6 0 0 1-.5-.9z' }),
    svg('path', { class: 'mark', d: 'M10 7.4v4.8M10 15.4v.1' }),
  ],
  unknown: () => [
    svg('circle', { class: 'ring', cx: 10, cy: 10, r: 7.6 }),
    svg('path', { class: 'line', d: 'M7.7 8a2.3 2.3 0 1 1 3.3 2.1c-.7.3-1 .8-1 1.5M10 14.2v.1' }),
  ],
  normal: () => [svg('circle', { class: 'dot', cx: 10, cy: 10, r: 4 })],
};
