/** A number of places; whoever finds none free waits for one, first come, first served. */

/** Places that are taken and given back. */
export interface Places {
  /** Resolves when a place is taken. */
  take(): Promise<void>;
  giveBack(): void;
}

/** Makes places, all of them free. */
export function createPlaces(count: number): Places {
  const waiting: (() => void)[] = [];
  let free = count;
  return {
    take() {
      if (free === 0) return new Promise((resolve) => waiting.push(resolve));
      free--;
      return Promise.resolve();
    },
    giveBack() {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    },
  };
}
