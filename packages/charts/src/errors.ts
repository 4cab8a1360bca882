/** A chart or profile that cannot be loaded or rendered; the message names the chart, the template and the line where that is known. */
export class ChartError extends Error {
  readonly chart: string;
  constructor(chart: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ChartError';
    this.chart = chart;
  }
}
