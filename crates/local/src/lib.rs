//! One machine: the SQLite store and the starting and adopting of runners.
