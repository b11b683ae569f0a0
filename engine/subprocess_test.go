package engine_test

func asSubprocess() bool { return false }
