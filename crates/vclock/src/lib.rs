//! Vector clocks, dotted version vector sets and hybrid logical clocks.
