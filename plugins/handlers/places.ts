/** A number of places; whoever finds none free waits for one, first come, first served, but behind those who are let ahead. */

/** Places that are taken and given back. */
export interface Places {
  /** Resolves when a place is taken; whoever goes ahead waits for others who do alone. */
  take(goesAhead: boolean): Promise<void>;
  giveBack(): void;
}

/** Makes places, all of them free. */
export function createPlaces(count: number): Places {
  const ahead: (() => void)[] = [];
  const behind: (() => void)[] = [];
  let free = count;
  return {
    take(goesAhead) {
      if (free === 0) return new Promise((resolve) => void (goesAhead ? ahead : behind).push(resolve));
      free--;
      return Promise.resolve();
    },
    giveBack() {
      const next = ahead.shift() ?? behind.shift();
      if (next === undefined) free++;
      else next();
    },
  };
}
