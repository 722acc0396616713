// Rules-check reads PromQL expressions, one a line, from standard input and prints the metric names each selects,
// separated by spaces, on the same line of its output. With arguments it first reads these files as alert rules, the
// way Prometheus does. Whatever Prometheus would refuse is printed to standard error and ends it with status 1.
package main

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	promql := parser.NewParser(parser.Options{})
	failed := false
	for _, name := range os.Args[1:] {
		if _, problems := rulefmt.ParseFile(name, false, model.UTF8Validation, promql, slog.Default()); len(problems) > 0 {
			failed = true
			for _, problem := range problems {
				fmt.Fprintf(os.Stderr, "%s: %v\n", name, problem)
			}
		}
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		expression, err := promql.ParseExpr(lines.Text())
		if err != nil {
			failed = true
			fmt.Fprintf(os.Stderr, "%s: %v\n", lines.Text(), err)
			continue
		}
		var names []string
		parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				names = append(names, selector.Name)
			}
			return nil
		})
		slices.Sort(names)
		fmt.Println(strings.Join(slices.Compact(names), " "))
	}
	if failed {
		os.Exit(1)
	}
}
