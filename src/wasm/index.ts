// Door `mortise/wasm`: look into modules, and rewrite them so that they can be contained.

export { type InstrumentedModule, type InstrumentOptions, type RewrittenModule, instrument } from "./instrument.ts";
export { Meter, type MeterOptions, type StopReason } from "./meter.ts";
export type { ModuleLimits } from "./policy.ts";
export { type Detection, type Interface, type WasmAbi } from "./detect.ts";
export { inspect, type InspectOptions, type ModuleDescription, type ModuleItem } from "./inspect.ts";
export type { Feature } from "./module-reader.ts";
