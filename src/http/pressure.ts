/**
 * How much more is asked of this process than it can do, as one number: 0 while everything is served, 3 when nothing is that may be
 * turned away. Which class is from which level on stands in admission.ts.
 *
 * It is controlled by what is measured: how much work a turn of the event loop has, which is what every client waits for, and how many
 * requests are under way. Both have a target. While the worse of them is above its target the pressure rises, and below it falls: so the
 * loop settles at its target, wherever the limit of this machine happens to be, and what remains is served at full speed.
 *
 * Only work that this thread did itself counts. A loop that is late because others use the machine's cores is no busier when clients are
 * turned away; if their requests pile up meanwhile, the turns that work them off are long, and that shows.
 */

export interface PressureLimits {
  /**
   * The work in one turn of the event loop that is aimed at under load, milliseconds of this thread's own time. A write waits for a turn or
   * two of each member on its way, and so do Raft's heartbeats.
   */
  readonly loopDelayMs: number;
  /** The number of requests under way that is aimed at under load. */
  readonly underWay: number;
}

export const defaultPressureLimits: PressureLimits = { loopDelayMs: 10, underWay: 100 };

/** Lists, reads and registrations can be turned away altogether; renewals and deregistrations never are. */
export const pressureMax = 3;

const probeMs = 10;
const overdueMs = 5 * probeMs;
/** How fast the pressure follows, per second, when a measure is off by its whole target. */
const risePerSecond = 1.5;
const fallPerSecond = 0.7;
/** However late the loop was: one stall is no reason to turn everybody away. */
const excessOfDelayMax = 2;
/** What is under way has been let in and will take its time: the more, the sooner the door must close. */
const excessMax = 8;

export class Pressure {
  readonly #limits: PressureLimits;
  readonly #underWay: () => number;
  readonly #timer: NodeJS.Timeout;
  #probedAtMs = performance.now();
  #delayMs = 0;
  #cpuMs = threadCpuMs();
  #level = 0;

  constructor(limits: PressureLimits, underWay: () => number) {
    this.#limits = limits;
    this.#underWay = underWay;
    this.#timer = setInterval(() => this.#probe(performance.now()), probeMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** At each request: while there are very many, the loop reads on and on and lets no timer run. */
  look(): void {
    const nowMs = performance.now();
    if (nowMs - this.#probedAtMs >= overdueMs) this.#probe(nowMs);
  }

  /** 0 to `pressureMax`. */
  get level(): number {
    return this.#level;
  }

  /** 0 to 1: how far everybody who can should slow down. */
  get load(): number {
    return Math.min(1, this.#level);
  }

  /** How late the loop was lately by its own work, milliseconds. */
  get delayMs(): number {
    return this.#delayMs;
  }

  #probe(nowMs: number): void {
    const passedMs = nowMs - this.#probedAtMs;
    this.#probedAtMs = nowMs;
    const cpuMs = threadCpuMs();
    const lateMs = Math.max(0, Math.min(passedMs - probeMs, cpuMs - this.#cpuMs));
    this.#cpuMs = cpuMs;
    // An average over about ten probes, so that a collection of garbage alone turns nobody away.
    const weight = Math.min(1, passedMs / (10 * probeMs));
    this.#delayMs += (lateMs - this.#delayMs) * weight;
    this.#level = nextLevel(this.#level, this.#excess(), passedMs / 1000);
  }

  /** How far the worse measure is off its target, in targets: -1 when idle, 0 at the target. */
  #excess(): number {
    const { loopDelayMs, underWay } = this.#limits;
    const ofDelay = Math.min(excessOfDelayMax, this.#delayMs / loopDelayMs - 1);
    return Math.max(ofDelay, this.#underWay() / underWay - 1);
  }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** One step of the control: `excess` as above, for `seconds`. */
export function nextLevel(level: number, excess: number, seconds: number): number {
  const bounded = Math.min(excess, excessMax);
  const change = bounded * (bounded > 0 ? risePerSecond : fallPerSecond) * Math.min(seconds, 0.25);
  return Math.min(pressureMax, Math.max(0, level + change));
}
