//! Observe, decide, admit, act: generic over the store and the acts.
