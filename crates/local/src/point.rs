//! Points before and after what an order makes durable beside the events of its task. Tests let
//! the server die there; the engine has its own (see its ports).

/// Told of a place and of what it is about.
pub type Point = fn(&str, &str);

/// Does something between two points.
pub(crate) fn between<T>(point: Point, what: &str, act: impl FnOnce() -> T) -> T {
    point("before-order", what);
    let done = act();
    point("after-order", what);
    done
}
