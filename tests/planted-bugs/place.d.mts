/** One change of a planted bug, see `planted`. */
export interface Edit {
  readonly folder: string;
  readonly place?: string | undefined;
  readonly find: string;
  readonly replace: string;
}

/** A mistake that somebody could make, and the test that must fail for it. */
export interface PlantedBug {
  readonly name: string;
  readonly what: string;
  readonly edits: readonly Edit[];
  readonly file: string;
  readonly test: string;
}

/** Finds the place of a change; nothing is written. @throws Error if the place is not there, or there is more than one. */
export function planted(
  root: string,
  edit: Edit,
  textOf?: (file: string) => string,
): { readonly file: string; readonly text: string };
