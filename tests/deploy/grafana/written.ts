// What Grafana's schema calls a dashboard, as JSON can say it.
import type { Dashboard } from "@grafana/schema";

/** JSON names no member of an enum, only its value. */
type Written<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends object
      ? { [Key in keyof T]: Written<T[Key]> }
      : T;

export type WrittenDashboard = Written<Dashboard>;
