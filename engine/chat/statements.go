package chat

import (
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	controls "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// statements are the tags a template may use, each drawing on the budget.
// What they bind (loop variables, set, macro arguments) is measured, so that
// no value grows from statement to statement.
func statements(b *budget) *exec.ControlStructureSet {
	set := map[string]parser.ControlStructureParser{
		"set":        parseSet(b),
		"generation": parseGeneration(b),
	}
	for _, tag := range []string{"if", "for", "macro", "raw", "break", "continue"} {
		parse, ok := builtins.ControlStructures.Get(tag)
		if !ok {
			continue
		}
		set[tag] = func(p, args *parser.Parser) (nodes.ControlStructure, error) {
			node, err := parse(p, args)
			if err != nil {
				return nil, err
			}
			return guard(b, node)
		}
	}
	return exec.NewControlStructureSet(set)
}

// guarded runs a statement under the budget.
type guarded struct {
	nodes.ControlStructure
	run func(*exec.Renderer, *nodes.ControlStructureBlock) error
}

func (g guarded) Execute(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
	return g.run(r, tag)
}

func guard(b *budget, node nodes.ControlStructure) (nodes.ControlStructure, error) {
	inner, ok := node.(exec.ControlStructure)
	if !ok {
		return nil, fmt.Errorf("%w: statement %s cannot be run", ErrTemplate, node)
	}
	run := func(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
		b.step(1)
		return inner.Execute(r, tag)
	}
	switch n := node.(type) {
	case *controls.ForControlStructure:
		run = loop(b, n, run)
	case *controls.MacroControlStructure:
		bind(b, n.Wrapper)
		run = macro(b, n, run)
	}
	return guarded{node, run}, nil
}

type execute = func(*exec.Renderer, *nodes.ControlStructureBlock) error

// loop evaluates what is looped over once, measures it and hands it to the
// library under a name that no template can spell. A string is taken apart
// into characters; the library would give its bytes.
func loop(b *budget, n *controls.ForControlStructure, run execute) execute {
	b.loops++
	hidden := fmt.Sprintf("\x00loop%d", b.loops)
	over := n.ObjectEvaluator
	n.ObjectEvaluator = &nodes.Name{Name: &tokens.Token{Type: tokens.Name, Val: hidden}}
	return func(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
		value := r.Eval(over)
		if value.IsError() {
			return value
		}
		if value.IsNil() || value.IsNumber() || value.IsBool() || value.IsCallable() {
			// an undefined list is an empty one in jinja2, nothing else is
			if !value.IsNil() {
				return fmt.Errorf("%s cannot be looped over", over)
			}
			value = exec.AsValue(list{})
		}
		if value.IsString() {
			value = exec.AsValue(characters(b, value.String()))
		}
		b.fits(value)
		b.length(value.Len())
		b.step(value.Len())
		r.Environment.Context.Set(hidden, value)
		r.Output = b.bounded(r.Output)
		return run(r, tag)
	}
}

// macro measures the arguments of each call and bounds how deep calls go.
func macro(b *budget, n *controls.MacroControlStructure, run execute) execute {
	return func(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
		if err := run(r, tag); err != nil {
			return err
		}
		value, _ := r.Environment.Context.Get(n.Name)
		inner, ok := value.(exec.Macro)
		if !ok {
			return fmt.Errorf("%w: macro %s cannot be run", ErrTemplate, n.Name)
		}
		r.Environment.Context.Set(n.Name, exec.Macro(func(va *exec.VarArgs) *exec.Value {
			b.step(1)
			if b.depth++; b.depth > maxDepth {
				stop(fmt.Errorf("%w: macros call each other more than %d deep", ErrLimit, maxDepth))
			}
			defer func() { b.depth-- }()
			b.fits(va.Args...)
			for _, v := range va.KwArgs {
				b.fits(v)
			}
			return inner(va)
		}))
		return nil
	}
}

// bind puts a node in front of a body that the library renders into a buffer
// of its own: it bounds that buffer, as every writer.
func bind(b *budget, body *nodes.Wrapper) {
	node := guarded{marker{body.Location}, func(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
		r.Output = b.bounded(r.Output)
		return nil
	}}
	body.Nodes = append([]nodes.Node{&nodes.ControlStructureBlock{
		Location: body.Location, Name: "bound", ControlStructure: node,
	}}, body.Nodes...)
}

type marker struct{ at *tokens.Token }

func (m marker) Position() *tokens.Token { return m.at }
func (m marker) String() string          { return "bound" }

// parseSet reads {% set x = … %} with the library and {% set x %}…{% endset %}
// here, where its output can be bounded. Whatever was set is then measured.
func parseSet(b *budget) parser.ControlStructureParser {
	inner, _ := builtins.ControlStructures.Get("set")
	return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
		target := args.Current(tokens.Name)
		if target == nil {
			return nil, args.Error("set wants a name", args.Current())
		}
		check := func(r *exec.Renderer) {
			value, _ := r.Environment.Context.Get(target.Val)
			b.fits(exec.ToValue(value))
		}
		if args.Peek(tokens.EOF) != nil || args.Peek() == nil {
			args.Consume()
			body, end, err := p.WrapUntil("endset")
			if err != nil {
				return nil, err
			}
			if !end.End() {
				return nil, end.Error("endset takes no arguments", nil)
			}
			return guarded{marker{target}, func(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
				b.step(1)
				var out strings.Builder
				sub := r.Inherit()
				sub.Output = b.bounded(&out)
				if err := sub.ExecuteWrapper(body); err != nil {
					return err
				}
				r.Environment.Context.Set(target.Val, out.String())
				check(r)
				return nil
			}}, nil
		}
		node, err := inner(p, args)
		if err != nil {
			return nil, err
		}
		set, ok := node.(exec.ControlStructure)
		if !ok {
			return nil, args.Error("set cannot be run", target)
		}
		return guarded{node, func(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
			b.step(1)
			if err := set.Execute(r, tag); err != nil {
				return err
			}
			check(r)
			return nil
		}}, nil
	}
}

// parseGeneration reads transformers' {% generation %}, which marks the
// assistant's part for training and prints its body unchanged.
func parseGeneration(b *budget) parser.ControlStructureParser {
	return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
		at := p.Current()
		if !args.End() {
			return nil, args.Error("generation takes no arguments", args.Current())
		}
		body, end, err := p.WrapUntil("endgeneration")
		if err != nil {
			return nil, err
		}
		if !end.End() {
			return nil, end.Error("endgeneration takes no arguments", nil)
		}
		return guarded{marker{at}, func(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
			b.step(1)
			return r.ExecuteIfWrapper(body)
		}}, nil
	}
}
