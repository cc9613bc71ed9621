/** The part of qlobber that is used here; it comes without types. */
declare module 'qlobber' {
  export interface QlobberOptions {
    readonly separator: string;
    readonly wildcard_one: string;
    readonly wildcard_some: string;
    /** Whether {@link wildcard_one} matches an empty level, too. */
    readonly match_empty_levels: boolean;
  }

  /** Filters with values; a match gives each value once. */
  export class QlobberDedup<T> {
    constructor(options: QlobberOptions);
    /** @throws Error if the filter has more than 100 levels. */
    add(filter: string, value: T): this;
    remove(filter: string, value: T): this;
    /** @throws Error if the topic has more than 100 levels. */
    match(topic: string): Set<T>;
  }
}
