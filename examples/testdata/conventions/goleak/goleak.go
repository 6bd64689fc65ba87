package goleak
