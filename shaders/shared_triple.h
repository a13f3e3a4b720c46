// A sum with what rounding took from it, and what rounding took from that.
struct sp_triple {
  float value, error, rest;
};
SP_FUNCTION sp_triple sp_triple_of(float value, float error, float rest) {
  sp_triple s;
  s.value = value;
  s.error = error;
  s.rest = rest;
  return s;
}
SP_FUNCTION float sp_sum_error(float a, float b, float sum) {
  const float part = sum - a;
  return (a - (sum - part)) + (b - part);
}
SP_FUNCTION sp_triple sp_triple_plus(sp_triple a, sp_triple b) {
  const float value = a.value + b.value, missing = sp_sum_error(a.value, b.value, value);
  const float errors = a.error + b.error, error = errors + missing;
  const float rest = sp_sum_error(a.error, b.error, errors) + sp_sum_error(errors, missing, error);
  return sp_triple_of(value, error, (a.rest + b.rest) + rest);
}
SP_FUNCTION sp_triple sp_triple_plus_product(sp_triple sum, float a, float b) {
  const float product = sp_rounded_product(a, b);
  return sp_triple_plus(sum, sp_triple_of(product, sp_product_error(a, b, product), 0));
}
