//! From a policy to bubblewrap, seccomp, Landlock, cgroups and overlays.
