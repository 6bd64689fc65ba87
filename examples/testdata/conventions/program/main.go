// Command program does not say how to run it.
package main

func main() {}
