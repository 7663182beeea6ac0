//! The failover engine: observation in, decision with its reasons out. No I/O, no clock, no Kubernetes.
