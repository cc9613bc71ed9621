import { createHash } from 'node:crypto';

import { isName, limits } from '@floorwatch/contracts';

/**
 * The metric under which readings in another unit than their sensor's are kept: `temperature (°F)`. Signs that no name may have are replaced,
 * and what would be too long is cut and told apart by a hash. The journal relies on it: equal arguments give the same name in every release.
 */
export function apartMetric(metric: string, unit: string): string {
  const sign = unit.replaceAll('/', '∕').replaceAll(/[\p{Cc}\p{Cs}+#]/gu, '_');
  const name = `${metric} (${sign})`;
  if (isName(name)) return name;
  const hash = createHash('sha256')
    .update(JSON.stringify([metric, unit]))
    .digest('hex')
    .slice(0, 8);
  const rest = ` (${sign}) ${hash}`;
  // The cut must not leave the first half of a surrogate pair.
  return `${metric.slice(0, limits.nameLengthMax - rest.length).replace(/[\uD800-\uDBFF]$/, '')}${rest}`;
}
