//! How the control part behaves: several of them in virtual time, with a network and a disk that the test governs.

mod bench;
mod catalog;
mod clock;
mod doubt;
mod founding;
mod members;
mod restart;
mod saving;
mod status;
mod tenure;
