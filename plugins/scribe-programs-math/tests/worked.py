# ruff: noqa: RUF001
"""Worked lines, all of them right. With `{}` around the number that a corrupted copy changes."""

LINES = r"""
We have 3 + 4 = {7} apples in the basket.
Then 12 * 15 = {180}, so the area is 180.
Half of 48 is 24, and 48 + 24 = {72} clips were sold.
She earns 12/60 = ${0.2} per minute.
Working 50 minutes, she earned 0.2 x 50 = ${10}.
The discount is 25% of 80, that is 0.25 * 80 = {20}.
The total is 2(5 + 7) = {24} cm.
$\frac{3}{4} \times 8 = {6}$
$\frac{1}{2} + \frac{1}{3} = \frac{{5}}{6}$
\[ 2^{10} = {1024} \]
$7^2 + 24^2 = 49 + 576 = {625} = 25^2$
$\sqrt{144} = {12}$
$\sqrt{3^2 + 4^2} = {5}$
$\binom{10}{3} = {120}$
$5! = {120}$
There are 4! = {24} arrangements.
$\frac{8!}{3! \cdot 5!} = {56}$
The number of handshakes is C(8, 2) = {28}.
$\binom{6}{2}\binom{4}{2} = 15 \cdot 6 = {90}$
So 10 choose 4 = {210}.
$1 - \frac{5}{36} = \frac{{31}}{36}$
10/3 = {3.33}
22/7 ≈ {3.14}
$\sqrt{2} \approx {1.414}$
$\pi \cdot 5^2 \approx {78.54}$
100 / 7 ≈ {14.3}
-5 + 8 = {3}
−4 × −6 = {24}
(3 − 8)² = {25}
3 - (-2) = {5}
1,250 + 750 = 2{,}000 = {2000}
2.5 * 4 = {10}
0.1 + 0.2 = {0.3}
1/8 = {12.5}%
25% = 1/{4}
17 mod 5 = {2}
$2^{10} \equiv {1} \pmod{11}$
$7^{100} \equiv {1} \pmod{4}$
$123456 \equiv {0} \pmod 3$
3^4 ≡ {1} (mod 5)
7 · 8 = 56 ≡ {1} (mod 11)
-1 ≡ {6} (mod 7)
$5 < {8}$ and so the triangle exists.
3 + 4 > {5}
$44 \le {44.75}$
Since 2^5 = 32 < {100}, we go on.
15 ≥ {12}
sqrt(50) < {8}
Expanding, (x + 2)^2 = x^2 + {4}x + 4.
Factoring, x^2 - 5x + 6 = (x - 2)(x - {3}).
Simplifying gives 2(a + b) - b = {2}a + b.
Expanding, (a + b)(a - b) = a^2 - b^{2}.
2x + 3 = 13, hence x = {5}.
3y - 4 = 11. Therefore y = {5}.
n^2 = 49, and n is positive, which gives n = {7}.
5(t - 1) = 20, so t = {5}.
Check: 2(5) + 3 = {13}.
Verify: 4 * 3 - 2 = {10}.
The probability is 1/6 * 1/6 = 1/{36}.
The sum is 100 * 101 / 2 = {5050}.
Total: 3*4 + 5 = 12 + 5 = {17}
The angles sum to 90° + 60° + 30° = {180}°.
$60^\circ + 75^\circ = {135}^\circ$
By symmetry, 2 \cdot 3 \cdot 5 = {30}.
The remainder is 47 - 6 \cdot 7 = {5}.
So the average is (80 + 90 + 100)/3 = {90}.
They meet after 300 / (40 + 60) = {3} hours.
$\left(\frac{2}{3}\right)^3 = \frac{8}{{27}}$
$3 \div \frac{1}{2} = {6}$
The last term is 5 + (20 - 1) \cdot 3 = {62}.
$2\sqrt{9} = {6}$
1 + 2 + 3 + 4 = {10}
$1 \cdot 2 + 2 \cdot 3 + 3 \cdot 4 = {20}$
""".strip().splitlines()

PROSE = r"""
20% of 50 = 10, which we put aside.
The sum of 1, 2 and 3 = 6.
The average of 3 and 5 = 4.
Suppose that 2 + 2 = 5; this is a contradiction.
This would give 0 = 1, which is impossible.
Is 3 * 4 = 13? No, it is 12.
5 kg = 5000 g, and 3 hours = 180 minutes.
60 minutes = 1 hour.
f(3) = 9 and g(2) = 1, so f(3) - g(2) = 8.
log 100 = 2 and sin 30° = 0.5.
gcd(12, 18) = 6 and lcm(4, 6) = 12.
|−5| = 5 and ⌊3.7⌋ = 3.
The ratio is 1:2 = 3:6.
1/3 = 0.333...
1 + 2 + ... + 10 = 55.
x^2 - 5x + 6 = 0, so x = 2 or x = 3.
101_2 = 5 in base ten.
3! = 6! is what a hasty reader would think; it is wrong.
We want 3a + 4 = 10, so a = 2.
17 = 2 mod 5.
3 dozen = 36.
2 1/2 = 2.5
The number of ways is 5 times 4 = 20.
Half of 20 = 10.
The square root of 16 = 4.
The triple (3, 4, 5) has 3^2 + 4^2 = 5^2.
If x = 0, then x^2 - 3 = -3.
Try x = 4: 4^2 = 16, too large; x = 3: 3^2 = 9.
The points are A(1, 2) and B(3, 4), so AB = 2\sqrt{2}.
We have 23 = 4 \cdot 5 + 3 with remainder 3.
23 / 4 = 5 remainder 3.
$5 million + $3 million = $8 million.
a_1 = 3, a_2 = 7, a_3 = a_1 + a_2 = 10.
Solve 2x + y = 7 and x - y = 2: adding, 3x = 9, so x = 3 and y = 1.
sqrt(x + 2) = x gives x = 2 or x = -1, and we reject x = -1.
For n = 1 we get 1 = 1, for n = 2 we get 1 + 2 = 3.
Wait, 3 + 4 = 8 is wrong. It is 3 + 4 = 7.
3 + 4 = 8. Wait, that is wrong: 3 + 4 = 7.
$\sum_{i=1}^{3} i = 6$
$\int_0^1 2x dx = 1$
$\log_2 8 = 3$
$10^{-2} = 0.01$
$x \approx 3.2$, so 3 < x < 4.
$\frac{a}{b} = \frac{2}{3}$, so 3a = 2b.
Step 1: 5 - 2 = 3
- 3 + 4 = 7
2. 8 / 2 = 4
**Total: 3 + 4 = 7**
The line y = 2x + 1 passes through (1, 3), because 2(1) + 1 = 3.
Let x be the number of apples; then 2x + 3 = 11 and x = 4.
Expanding the square, we set (x + 1)^2 = 9, so x = 2 or x = -4.
The final answer is 5! ways = 120 ways.
The product of 3 and 4 = 12; of 5 and 6 = 30.
The two numbers differ by 3: 8 - 5 = 3!
""".strip().splitlines()
