import { Counter, Gauge, type Registry } from 'prom-client';

/** Labels of a sample by name. */
type Labels = Readonly<Record<string, string>>;
/** One line of a metric. Its value is undefined while it is not known: then there is no line. */
export type Sample = readonly [labels: Labels, value: number | undefined];

/** A metric as its table tells it; `V` is what its values are read from. A name that ends in `_total` is a counter's. */
export interface Metric<V> {
  /** Without the prefix of the program. */
  readonly name: string;
  /** One sentence; the documentation has the same. */
  readonly help: string;
  /** Names of the labels; none by default. */
  readonly labels?: readonly string[];
  /** A number for a metric without labels (undefined: not known yet), or all its samples. */
  readonly read: (view: V) => number | undefined | Iterable<Sample>;
}

/**
 * Registers the metrics of a table. The parts of a program count in plain fields; these are read when somebody asks, so that
 * counting costs the pipeline nothing.
 *
 * @param view what the values are read from, asked for once per metric.
 */
export function defineMetrics<V>(registry: Registry, prefix: string, table: readonly Metric<V>[], view: () => V): void {
  for (const { name, help, labels = [], read } of table) {
    const options = { name: prefix + name, help, labelNames: [...labels], registers: [registry] };
    const samples = (): Iterable<Sample> => {
      const found = read(view());
      return typeof found === 'object' ? found : [[{}, found]];
    };
    if (name.endsWith('_total')) {
      void new Counter({
        ...options,
        // The parts keep the count; here it only takes the value that it has there.
        collect() {
          this.reset();
          for (const [at, value] of samples()) {
            if (value === undefined) this.remove(at);
            else this.inc(at, value);
          }
        },
      });
    } else {
      void new Gauge({
        ...options,
        collect() {
          this.reset();
          for (const [at, value] of samples()) {
            if (value === undefined) this.remove(at);
            else this.set(at, value);
          }
        },
      });
    }
  }
}
