//! Real sandboxes, as root and as an ordinary user.
