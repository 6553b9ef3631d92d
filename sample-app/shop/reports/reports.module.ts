import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Report } from './report.entity.js';
import { ReportsService } from './reports.service.js';

@Module({
  imports: [ScheduleModule.forRoot(), TypeOrmModule.forFeature([Report])],
  providers: [ReportsService],
})
export class ReportsModule {}
