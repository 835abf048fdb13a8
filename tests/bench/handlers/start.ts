/**
 * A handler that does nothing but say when it started, on the clock that every process of the machine shares.
 */

export default (): number => performance.timeOrigin + performance.now();
