// Command dates writes dates.txt: moments as Go's packages time and net/http print them.
//
//	go run crates/units/testdata/dates.go > crates/units/testdata/dates.txt
package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

func main() {
	random := rand.New(rand.NewPCG(1, 2))
	zones := []int{0, 0, 3600, -18000, 20700, -12600, 50400}
	for i := range 400 {
		// 1678 to 2261.
		t := time.Unix(random.Int64N(18_400_000_000)-9_200_000_000, 0).UTC()
		if i%3 == 0 {
			t = t.Add(time.Duration(random.Int64N(int64(time.Second))))
		}
		zoned := t.In(time.FixedZone("", zones[random.IntN(len(zones))]))
		year := t.Year()
		rfc850 := "-"
		if 1969 <= year && year <= 2068 {
			rfc850 = t.Format("Monday, 02-Jan-06 15:04:05 GMT")
		}
		fmt.Printf("%d\t%s\t%s\t%s\t%s\t%s\n", t.UnixNano(), t.Format(time.RFC3339Nano),
			zoned.Format(time.RFC3339Nano), t.Format(http.TimeFormat), rfc850, t.Format(time.ANSIC))
	}
}
