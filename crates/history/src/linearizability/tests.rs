//! What is linearizable and what is not, by hand; at random against a naive oracle; and large histories.

mod generate;
mod histories;
mod large;
mod oracle;
mod rules;
