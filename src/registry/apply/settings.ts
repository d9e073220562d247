/**
 * Settings of a service. Setting them makes the service known, if it was not.
 */

import type { CommandResult, SetSettings } from "../commands.ts";
import { firstBroken, isWhole } from "../declaration.ts";
import { defaultServiceSettings, registryLimits, type ServiceSettings } from "../model.ts";
import { isName, nameRule } from "../names.ts";
import { changeService, failure, type Applying, type Source } from "./change.ts";

const settingNames = Object.keys(defaultServiceSettings) as (keyof ServiceSettings)[];

export function applySetSettings(applying: Applying, command: SetSettings, source: Source): CommandResult {
  const { state } = applying;
  if (!isName(command.namespace)) return failure("invalid_argument", `namespace must be ${nameRule}`);
  if (!isName(command.service)) return failure("invalid_argument", `service must be ${nameRule}`);
  const present =
    state.catalog.service(command.namespace, command.service)?.effectiveSettings ?? defaultServiceSettings;
  const settings: ServiceSettings = { ...present, ...command.changes };
  const fault = settingsFault(settings);
  if (fault !== null) return failure("invalid_argument", fault);

  const changed = settingNames.filter((name) => settings[name] !== present[name]);
  if (changed.length > 0) {
    const service = state.catalog.ensure(command.namespace, command.service);
    const isDefault = settingNames.every((name) => settings[name] === defaultServiceSettings[name]);
    service.settings = isDefault ? null : settings;
    const reason = changed.map((name) => `${name} ${present[name]} -> ${settings[name]}`).join(", ");
    changeService(applying, service, source, { type: "settings", reason });
  }
  return { ok: true, kind: "setSettings", settings, revision: state.counters.revision };
}

function settingsFault(settings: ServiceSettings): string | null {
  const limits = registryLimits;
  const ranges: Record<keyof ServiceSettings, readonly [min: number, max: number]> = {
    protectionMinInstances: [0, limits.protectionMinInstancesMax],
    protectionMaxExpiredPercent: [0, 100],
    protectionWindowMs: [limits.protectionWindowMsMin, limits.protectionWindowMsMax],
    protectionHoldMs: [limits.protectionHoldMsMin, limits.protectionHoldMsMax],
  };
  return firstBroken(
    settings,
    settingNames.map((name) => {
      const [min, max] = ranges[name];
      return [
        (given) => !isWhole(given[name], min, max),
        `${name} must be a whole number from ${min} to ${max}`,
      ];
    }),
  );
}
