/** The name of the compiled module for the machine that runs this. */
export function artefact(): string {
  const { platform, arch } = process;
  if (platform !== "linux") return `ventros.${platform}-${arch}.node`;
  // A report without this field describes a system of another C library.
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return `ventros.${platform}-${arch}-${header.glibcVersionRuntime ? "gnu" : "musl"}.node`;
}
