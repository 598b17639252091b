//! What each run may use up: the defaults, the profile, the flag, in rising order.

use midwatch_api::order::Limits;
use midwatch_api::profile::LimitsSpec;

pub(super) fn of(spec: &LimitsSpec, wall_seconds: Option<u64>) -> Limits {
    let usual = Limits::default();
    let mebibytes = |count: Option<u64>, usual: u64| count.map_or(usual, |count| count << 20);
    Limits {
        wall_seconds: wall_seconds.or(spec.wall_seconds).unwrap_or(usual.wall_seconds),
        idle_seconds: spec.idle_seconds.unwrap_or(usual.idle_seconds),
        memory_bytes: mebibytes(spec.memory_mib, usual.memory_bytes),
        pids: spec.pids.unwrap_or(usual.pids),
        disk_bytes: mebibytes(spec.disk_mib, usual.disk_bytes),
        loop_rounds: spec.loop_rounds.unwrap_or(usual.loop_rounds),
        no_change_seconds: spec.no_change_seconds.unwrap_or(usual.no_change_seconds),
        ..usual
    }
}
