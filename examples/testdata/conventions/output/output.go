package output
