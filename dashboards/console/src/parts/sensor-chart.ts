import type { AnomalyRow } from '@floorwatch/contracts';
import uPlot from 'uplot';

import { isOpen } from '../anomaly-list.ts';
import type { ChartData } from '../chart-data.ts';
import { h } from '../dom.ts';
import { formatDate, formatTime, formatValue } from '../format.ts';

/** What the chart shows. */
export interface ChartContent {
  readonly data: ChartData;
  readonly anomalies: readonly AnomalyRow[];
  readonly from: number;
  readonly to: number;
  readonly unit: string | null;
}

const FONT = '12px system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif';

/** A sensor's chart: mean, band, least and greatest, and the episodes on top. Drawn by uPlot on a canvas. */
export class SensorChart {
  readonly #canvas = h('div', { class: 'chart-canvas' });
  /** The arrow keys move the cursor, so that the chart can be read without a mouse. */
  readonly element = h('div', { class: 'chart', tabindex: 0, role: 'group', onkeydown: (event) => this.#onKey(event) });
  readonly #onCursor: (index: number | null, byKey: boolean) => void;
  #plot: uPlot | undefined;
  #content: ChartContent | undefined;
  #byKey = false;
  readonly #resize = new ResizeObserver(() => this.#fit());

  constructor(onCursor: (index: number | null, byKey: boolean) => void) {
    this.#onCursor = onCursor;
    this.element.append(this.#canvas);
    this.#resize.observe(this.element);
  }

  show(content: ChartContent): void {
    this.#content = content;
    if (this.#plot === undefined) this.redraw();
    else {
      this.#plot.setData(columnsOf(content.data), false);
      this.#plot.setScale('x', { min: content.from / 1_000, max: content.to / 1_000 });
    }
  }

  /** Draws again from nothing: after another theme, or the first time. */
  redraw(): void {
    const content = this.#content;
    this.#plot?.destroy();
    this.#plot = undefined;
    if (content === undefined || this.element.clientWidth === 0) return;
    this.#plot = new uPlot(this.#options(content), columnsOf(content.data), this.#canvas);
  }

  destroy(): void {
    this.#resize.disconnect();
    this.#plot?.destroy();
  }

  #fit(): void {
    if (this.#plot === undefined) this.redraw();
    else this.#plot.setSize(this.#size());
  }

  #size(): { width: number; height: number } {
    const width = Math.max(240, this.element.clientWidth);
    return { width, height: width < 560 ? 260 : 360 };
  }

  #onKey(event: Event): void {
    const plot = this.#plot;
    const count = this.#content?.data.x.length ?? 0;
    if (!(event instanceof KeyboardEvent) || plot === undefined || count === 0) return;
    const last = count - 1;
    const at = plot.cursor.idx ?? last;
    const step = event.shiftKey ? 10 : 1;
    const target = { ArrowLeft: at - step, ArrowRight: at + step, Home: 0, End: last }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const index = Math.min(last, Math.max(0, target));
    const x = this.#content?.data.x[index];
    if (x === undefined) return;
    this.#byKey = true;
    plot.setCursor({ left: plot.valToPos(x, 'x'), top: plot.height / 3 });
    this.#byKey = false;
  }

  #options(content: ChartContent): uPlot.Options {
    const colour = (name: string): string => getComputedStyle(this.element).getPropertyValue(`--${name}`).trim();
    const axis = { stroke: colour('muted'), font: FONT, ticks: { show: false } };
    const grid = { stroke: colour('grid'), width: 1 };
    const line = (stroke: string, width: number, dash?: number[]): uPlot.Series => ({
      stroke,
      width,
      ...(dash === undefined ? {} : { dash }),
      points: { show: false },
      spanGaps: false,
    });
    const edge = line('transparent', 0);
    return {
      ...this.#size(),
      legend: { show: false },
      // At the right half of a label, which may stand at the very end of the axis.
      padding: [22, 34, 0, 0],
      cursor: { y: false, points: { show: true, size: 7 }, drag: { x: true, y: false } },
      scales: {
        x: { time: true, min: content.from / 1_000, max: content.to / 1_000 },
        y: { range: (_plot, min, max) => padded(min, max) },
      },
      axes: [
        { ...axis, grid, values: (_plot, splits, _index, _space, incr) => timeLabels(splits, incr), space: 74 },
        { ...axis, grid, values: (_plot, splits, _index, _space, incr) => valueLabels(splits, incr), size: 62 },
      ],
      series: [
        {},
        edge,
        edge,
        line(colour('band-edge'), 1),
        line(colour('band-edge'), 1),
        line(colour('moving'), 1.5, [6, 4]),
        line(colour('accent'), 2),
      ],
      bands: [
        { series: [4, 3], fill: colour('band') },
        { series: [2, 1], fill: colour('range') },
      ],
      hooks: {
        drawAxes: [(plot) => this.#drawSpans(plot, colour)],
        draw: [(plot) => this.#drawMarks(plot, colour)],
        setCursor: [(plot) => this.#onCursor(plot.cursor.idx ?? null, this.#byKey)],
      },
    };
  }

  /** Under the lines: a strip for as long as an episode lasted. */
  #drawSpans(plot: uPlot, colour: (name: string) => string): void {
    const { left, top, width, height } = plot.bbox;
    for (const row of this.#content?.anomalies ?? []) {
      const from = clamp(plot.valToPos(row.openedAt / 1_000, 'x', true), left, left + width);
      const until = isOpen(row) ? left + width : plot.valToPos(row.eventTime / 1_000, 'x', true);
      const to = clamp(Math.max(until, from + 2 * devicePixelRatio), left, left + width);
      if (to <= from) continue;
      plot.ctx.fillStyle = colour(`${row.severity}-wash`);
      plot.ctx.fillRect(from, top, to - from, height);
      plot.ctx.fillStyle = colour(`${row.severity}-fill`);
      plot.ctx.fillRect(from, top, to - from, 3 * devicePixelRatio);
    }
  }

  /** Above the values' axis: what they are in. */
  #drawUnit({ ctx, bbox }: uPlot, colour: string): void {
    const unit = this.#content?.unit;
    if (unit === null || unit === undefined) return;
    ctx.fillStyle = colour;
    ctx.font = FONT.replace('12px', `${12 * devicePixelRatio}px`);
    ctx.textAlign = 'right';
    ctx.textBaseline = 'bottom';
    ctx.fillText(unit, bbox.left - 10 * devicePixelRatio, bbox.top - 6 * devicePixelRatio);
  }

  /** On the lines: a sign at the worst reading of every episode, in the shape of its severity. */
  #drawMarks(plot: uPlot, colour: (name: string) => string): void {
    const { ctx, bbox } = plot;
    this.#drawUnit(plot, colour('muted'));
    const size = 6 * devicePixelRatio;
    for (const { severity, worst } of this.#content?.anomalies ?? []) {
      const x = plot.valToPos(worst.at / 1_000, 'x', true);
      const y = clamp(plot.valToPos(worst.value, 'y', true), bbox.top + size, bbox.top + bbox.height - size);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      const corners = severity === 'critical' ? 8 : 3;
      const turn = severity === 'critical' ? Math.PI / 8 : -Math.PI / 2;
      for (let corner = 0; corner < corners; corner++) {
        const angle = turn + (corner * 2 * Math.PI) / corners;
        ctx.lineTo(x + size * 1.15 * Math.cos(angle), y + size * 1.15 * Math.sin(angle));
      }
      ctx.closePath();
      ctx.fillStyle = colour(`${severity}-fill`);
      ctx.fill();
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.strokeStyle = colour('surface');
      ctx.stroke();
    }
  }
}

const columnsOf = (data: ChartData): uPlot.AlignedData => [
  data.x,
  data.min,
  data.max,
  data.low,
  data.high,
  data.moving,
  data.mean,
];

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Room above and below, and some height for a series that does not move at all. */
function padded(min: number | null, max: number | null): [number, number] {
  if (min === null || max === null) return [0, 1];
  const pad = max > min ? (max - min) * 0.08 : Math.abs(max) * 0.02 || 1;
  return [min - pad, max + pad];
}

/** The value at every tick, with as many digits as tell neighbours apart: five do not where a series moves by a millionth. */
function valueLabels(splits: readonly number[], incr: number): string[] {
  const size = splits.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const digits = size === 0 ? 1 : Math.floor(Math.log10(size)) - Math.floor(Math.log10(incr)) + 1;
  return splits.map((value) => formatValue(value, Math.min(15, Math.max(5, digits))));
}

/** The time at every tick, with the date below the first one of a day. */
function timeLabels(splits: readonly number[], incr: number): string[] {
  let day = '';
  return splits.map((seconds) => {
    const date = formatDate(seconds * 1_000);
    const time = formatTime(seconds * 1_000);
    const label = incr >= 86_400 ? '' : incr >= 60 ? time.slice(0, 5) : time;
    if (date === day) return label;
    day = date;
    return label === '' ? date.slice(5) : `${label}\n${date}`;
  });
}
