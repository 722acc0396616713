// Kafka-broker is an in-memory Kafka for tests: three brokers, one topic, real protocol.
//
//	kafka-broker TOPIC PARTITIONS
//
// It prints its brokers as host:port,host:port,… on one line and runs until its standard input ends.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: kafka-broker TOPIC PARTITIONS")
		os.Exit(2)
	}
	partitions, err := strconv.ParseInt(os.Args[2], 10, 32)
	if err != nil || partitions < 1 {
		fmt.Fprintf(os.Stderr, "kafka-broker: PARTITIONS is %q, not a positive number\n", os.Args[2])
		os.Exit(2)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(int32(partitions), os.Args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, "kafka-broker:", err)
		os.Exit(1)
	}
	defer cluster.Close()
	fmt.Println(strings.Join(cluster.ListenAddrs(), ","))
	_, _ = io.Copy(io.Discard, os.Stdin)
}
