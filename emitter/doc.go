package emitter
