export { durationInWords } from '@floorwatch/contracts';
