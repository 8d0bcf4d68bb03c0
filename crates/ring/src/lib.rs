//! Placement for a partitioned, replicated store: tokens, virtual nodes, and which nodes hold which partition.
