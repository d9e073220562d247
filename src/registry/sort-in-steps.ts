/**
 * Sorts a list a little at a time: merge sort from the bottom up (Knuth, TAOCP vol. 3, 5.2.4), because the one of the runtime holds up the
 * loop until it is done. Runs that follow each other already are left alone, so a list that is sorted costs one look at it.
 */

const runLength = 32;

type Compare<Item> = (left: Item, right: Item) => number;

/** In place, and stable. Yields after each few comparisons. */
export function* sortInSteps<Item>(items: Item[], compare: Compare<Item>): Generator<undefined> {
  for (let from = 0; from < items.length; from += runLength) {
    const run = items.slice(from, from + runLength).sort(compare);
    for (const [i, item] of run.entries()) items[from + i] = item;
    yield;
  }
  for (let width = runLength; width < items.length; width *= 2) {
    for (let from = 0; from + width < items.length; from += 2 * width)
      yield* merge(items, from, width, compare);
  }
}

/** Two neighbouring runs, of which the second may be shorter. */
function* merge<Item>(
  items: Item[],
  from: number,
  width: number,
  compare: Compare<Item>,
): Generator<undefined> {
  const end = Math.min(items.length, from + 2 * width);
  let right = from + width;
  if (compare(items[right - 1]!, items[right]!) <= 0) return yield;
  const firsts = items.slice(from, right);
  let left = 0;
  for (let to = from; left < firsts.length; to += 1) {
    const isRightNext = right < end && compare(items[right]!, firsts[left]!) < 0;
    items[to] = isRightNext ? items[right++]! : firsts[left++]!;
    if (to % runLength === 0) yield;
  }
}
