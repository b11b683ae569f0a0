package checkpoint

// ParseConfig reads a config.json alone, as Open does, so that a model that
// does not run can be refused before its weights are there. Sizes stay zero:
// they come from the tensors. file stands for it in messages. The error is
// weights.ErrBadModel or ErrUnsupported.
func ParseConfig(file string, data []byte) (Config, error) {
	cfg, _, err := parseConfig(file, data)
	return cfg, err
}
