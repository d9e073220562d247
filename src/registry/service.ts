/**
 * One service: its instances, what is counted about them, its settings, and the window of mass-expiry protection.
 */

import type { Fields } from "./fields.ts";
import type { HistoryLine } from "./history.ts";
import { readSettings, settingsFields } from "./instance-codec.ts";
import {
  defaultServiceSettings,
  effective,
  type Instance,
  type InstanceStatus,
  type ServiceSettings,
} from "./model.ts";
import { Recorded } from "./records.ts";
import type { Registration } from "./registration.ts";
import { SortedCache } from "./sorted-cache.ts";
import type { InstanceCounts, ServiceSummary } from "./view.ts";

/** The stretch of time in which expiries are counted together. Opened by the first expiry after the last one ended. */
export interface ProtectionWindow {
  /** Cluster time. */
  readonly startedAt: number;
  /** How many instances there were then. */
  readonly base: number;
  /** How many of them have expired since. */
  readonly removed: number;
}

type MutableCounts = { -readonly [Name in keyof InstanceCounts]: number };

export class Service extends Recorded {
  readonly namespace: string;
  readonly name: string;
  /** Of its last visible change. */
  revision = 0;
  /** Cluster time since when it has no instance; null while it has one. */
  emptySince: number | null = null;
  /** Null for the defaults. */
  settings: ServiceSettings | null = null;
  window: ProtectionWindow | null = null;
  /** Instances that stay listed only because of protection; the service is protected while there are any. */
  heldCount = 0;
  /** Oldest first; bounded by registryLimits.historyPerService. */
  readonly history: HistoryLine[] = [];
  readonly #registrations = new Map<string, Registration>();
  readonly #sorted = new SortedCache<Registration>((registration) => registration.instance.id);
  readonly #counts: MutableCounts = { total: 0, up: 0, starting: 0, draining: 0, down: 0, suspect: 0 };

  constructor(namespace: string, name: string) {
    super();
    this.namespace = namespace;
    this.name = name;
  }

  get isProtected(): boolean {
    return this.heldCount > 0;
  }

  get instanceCount(): number {
    return this.#registrations.size;
  }

  get effectiveSettings(): ServiceSettings {
    return this.settings ?? defaultServiceSettings;
  }

  find(id: string): Registration | null {
    return this.#registrations.get(id) ?? null;
  }

  add(registration: Registration): void {
    this.#registrations.set(registration.instance.id, registration);
    this.#sorted.added(registration);
    this.#count(registration.instance, 1);
  }

  remove(registration: Registration): void {
    this.#registrations.delete(registration.instance.id);
    this.#sorted.removed(registration);
    this.#count(registration.instance, -1);
  }

  /** Gives a registration its new face. */
  replace(registration: Registration, instance: Instance): void {
    this.#count(registration.instance, -1);
    registration.instance = instance;
    this.#count(instance, 1);
  }

  sorted(): readonly Registration[] {
    return this.#sorted.values(this.#registrations.values());
  }

  registrations(): Iterable<Registration> {
    return this.#registrations.values();
  }

  summary(): ServiceSummary {
    return {
      namespace: this.namespace,
      name: this.name,
      revision: this.revision,
      instances: { ...this.#counts },
      protected: this.isProtected,
    };
  }

  #count(instance: Instance, difference: 1 | -1): void {
    const status: InstanceStatus = effective(instance).status;
    this.#counts.total += difference;
    this.#counts[status] += difference;
    if (instance.suspect) this.#counts.suspect += difference;
  }

  override get recordKey(): string {
    return `service/${this.namespace}/${this.name}`;
  }

  override recordValue(): unknown {
    const window = this.window;
    return [
      this.revision,
      this.emptySince,
      this.settings === null ? null : settingsFields(this.settings),
      window === null ? null : [window.startedAt, window.base, window.removed],
    ];
  }

  /** At load: what its own record says of it. */
  read(fields: Fields): void {
    this.revision = fields.integer();
    this.emptySince = fields.integerOrNull();
    this.settings = fields.nestedOrNull("settings", readSettings);
    this.window = fields.nestedOrNull("window", readWindow);
  }
}

function readWindow(fields: Fields): ProtectionWindow {
  return { startedAt: fields.integer(), base: fields.integer(), removed: fields.integer() };
}
