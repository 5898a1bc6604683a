// The peer of the bare start: a program of Go that does nothing.
package main

func main() {}
