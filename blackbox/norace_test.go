//go:build !race

package blackbox

const race = false
